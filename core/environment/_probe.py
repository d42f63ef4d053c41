"""Says in one line of JSON what the interpreter is that runs this file. Runs by path, in any Python 3."""

import importlib.util
import json
import platform
import struct
import sys
import sysconfig

print(
    json.dumps(
        {
            # Inside a virtual environment this is the interpreter behind it, which must be there as long.
            "path": getattr(sys, "_base_executable", None) or sys.executable,
            "version": list(sys.version_info[:3]),
            "implementation": platform.python_implementation(),
            "bits": 8 * struct.calcsize("P"),
            "system": sys.platform,
            "platform": sysconfig.get_platform(),
            "machine": platform.machine(),
            "has_venv": importlib.util.find_spec("venv") is not None,
            "has_ensurepip": importlib.util.find_spec("ensurepip") is not None,
            "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        }
    )
)
