"""The loops of fastcam: compiled with Numba, on NumPy arrays, knowing nothing else."""
