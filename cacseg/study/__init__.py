"""Read a study: find its files, list its series, choose one, give its voxels in Hounsfield units with its facts."""

from cacseg.study.image_alone import read_image
from cacseg.study.read import read_study
from cacseg.study.reading import FileCounts, SeriesReading, StudyReading

__all__ = ["FileCounts", "SeriesReading", "StudyReading", "read_image", "read_study"]
