"""Marks the wheel as one for this machine and for any Python: it carries a library, which no Python compiled."""

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel


class LibraryDistribution(Distribution):
    """A distribution with machine code."""

    def has_ext_modules(self):
        return True


class LibraryWheel(bdist_wheel):
    """A wheel that asks nothing of the interpreter."""

    def get_tag(self):
        return "py3", "none", super().get_tag()[2]


setup(distclass=LibraryDistribution, cmdclass={"bdist_wheel": LibraryWheel})
