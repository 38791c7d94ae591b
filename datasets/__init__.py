"""Data: inlier data sets, outlier sources, and the ways their test inputs are corrupted."""
