"""Who the patients are: case metadata by case ID, attribute groups, stratified folds, the synthetic cohort."""
