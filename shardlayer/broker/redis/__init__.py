"""The shards on Redis or Valkey: listed servers, behind Sentinels, or a Cluster.

Every operation is one script or one command. Other packages import what makes a `RedisBackend`.
"""
