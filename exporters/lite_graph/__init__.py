"""LiteRT models: from a frozen graph, in float32, float16 and int8."""
