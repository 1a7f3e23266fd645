"""Tests of shardlayer/client/."""
