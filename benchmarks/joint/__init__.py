"""What a common training of segmentation and response does to both: docs/joint.md."""
