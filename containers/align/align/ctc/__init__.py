"""Recognition and alignment with CTC models on a GPU or a CPU; what imports torch here needs the image's GPU environment."""
