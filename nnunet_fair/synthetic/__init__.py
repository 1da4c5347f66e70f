"""The synthetic cohort: patients, images, a planted and documented disparity."""
