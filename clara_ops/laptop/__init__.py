"""The laptop: environments set up, every server started on loopback under one supervisor, and the main job shown."""
