#!/usr/bin/env python3
"""The command line of the application: `python3 manage.py help`."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "toybox.settings")
    execute_from_command_line(sys.argv)
