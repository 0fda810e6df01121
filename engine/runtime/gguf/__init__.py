"""GGUF files: conversion, quantization, importance matrix, tensors compared."""
