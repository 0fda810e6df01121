"""The merged model as a graph for ONNX Runtime: written, and asked, in processes of their own."""
