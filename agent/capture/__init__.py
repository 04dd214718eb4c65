"""Frame sources: cameras, video files, folders of images and network streams."""
