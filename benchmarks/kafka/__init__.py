"""`kafka`: the main job, a Kafka record to the clients of its room."""
