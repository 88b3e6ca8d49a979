"""The numbers of a test set: functions of arrays, without files, models or plots."""
