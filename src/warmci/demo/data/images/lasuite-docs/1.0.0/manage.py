"""Django's command line: `python manage.py migrate`."""

import sys

from configurations.management import execute_from_command_line

execute_from_command_line(sys.argv)
