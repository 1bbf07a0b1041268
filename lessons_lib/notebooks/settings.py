"""The environment in which committed outputs are made, by `lessons refresh`, and compared, by strict nbval."""

# One thread, because a sum over two comes out differently from run to run; no GPU, because another device rounds
# differently; no Hub, because the default budget must do without.
COURSE_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "LESSONS_BUDGET": "cpu",
    "LESSONS_MAX_STEPS": "",
    "HF_HUB_OFFLINE": "1",
}
