"""The merged model as a graph for ONNX Runtime or OpenVINO: written, and asked, in processes of their own."""
