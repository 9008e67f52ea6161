"""The embedded product: a zipper with seven kinds of defect."""
