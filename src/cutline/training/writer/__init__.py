"""Training of the language model that writes captions in a voice, begun from a larger one.

base.py: a GGUF file -> some of its layers and tokens -> model.py, a tokenizer
data.py: rows of a corpus -> pairs of a prompt and a text -> objective.py -> loop.py
export.py: weights -> ONNX graphs in few bits, and the folder that `cutline.styles` loads
"""
