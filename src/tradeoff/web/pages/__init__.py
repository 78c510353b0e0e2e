"""The pages, a module for each part: functions of a `Visit` that give an answer."""
