"""Photos with alphas on their way into training: datasets, transforms, trimaps, pipelines."""
