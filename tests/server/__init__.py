"""Tests of the caption service. Packages, because their files have the same names in several folders."""
