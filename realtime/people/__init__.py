"""Who is in which rooms: asked, told to clients, and told to the project by signals."""
