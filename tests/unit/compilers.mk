# SPDX-License-Identifier: MIT
# tape.h with every compiler that is here: a script among the unit tests.
UNIT += tests/unit/tape_h/compilers.sh
