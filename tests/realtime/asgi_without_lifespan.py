"""The project's ASGI application as Channels' tutorial has it: without a lifespan."""

from config.asgi import application as whole

application = type(whole)({kind: whole.application_mapping[kind] for kind in ("http", "websocket")})
