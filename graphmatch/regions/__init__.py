"""Images to regions: photographs, detectors, region features, polar geometry."""
