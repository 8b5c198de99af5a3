"""Builds an image of a model for three architectures and shows what is in it: build_image.py MODEL LAYOUT"""

import sys

import aipack

report = aipack.build(sys.argv[1], output=f"oci:{sys.argv[2]}", platforms="all")
for platform in report.platforms:
    print(platform.platform, platform.image_bytes_compressed, [layer.purpose for layer in platform.layers])
print(report.digest)
