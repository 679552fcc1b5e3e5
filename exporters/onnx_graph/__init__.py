"""Frozen TensorFlow graphs as ONNX: conversion, clean-up, half precision and eight bits."""
