"""Videos to clips: decoding, frame sampling, clip features."""
