"""The demo's input: this machine's own figures, ten times a second, as Kafka records."""
