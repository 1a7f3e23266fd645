"""Reading the topics of dead letters, and sending what lies there again."""
