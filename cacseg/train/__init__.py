"""Training, export and comparison of the networks; needs the ``train`` extra.

cached samples -> augmentation -> CalciumNet and ScoutNet -> checkpoint -> ONNX release
"""
