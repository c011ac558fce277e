"""WHAT an application is, known before any server is asked: its Compose file, its images, its faults."""
