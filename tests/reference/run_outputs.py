"""What a training run prints and leaves in its folder."""

FINAL = {
    "test_accuracy",
    "train_accuracy",
    "test_loss",
    "seconds",
    "steps",
    "angle_to_bp_deg",
    "orthogonality_deviation",
}
RUN_FILES = {
    ".lock",
    "checkpoint.safetensors",
    "learning_curves.png",
    "metrics.json",
    "metrics.jsonl",
    "run.yaml",
    "tensorboard",
}


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG\r\n")
