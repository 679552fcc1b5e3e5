"""Videos and cameras: read, matted and written frame by frame, at the times that they had.

summary = matte_video('clip.mp4', 'cutout.webm')
"""

from mattingjax.inference.video.line import VideoSummary
from mattingjax.inference.video.matting import matte_video

__all__ = ['VideoSummary', 'matte_video']
