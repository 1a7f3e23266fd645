"""Publishing over HTTP, for services that are not Django: docs/http-api.md."""
