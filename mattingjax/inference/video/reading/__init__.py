"""Reads any video that FFmpeg reads: its frames and their times, its sound, and what is damaged."""

from mattingjax.inference.video.reading.files import VideoFile, open_video

__all__ = ['VideoFile', 'open_video']
