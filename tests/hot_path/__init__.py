"""Tests of hot_path: what was compiled runs where its sources are those of the build, and nowhere else."""
