"""The standard library, out of memory instead of out of a directory.

It stands in `sys.path` where the directory would, so that a program's own
module of the same name comes first or last as it would with files. No file of
it exists: a run that imports what is not frozen in opens nothing, and no
directory need be shown to it.
"""

import marshal
import sys
import zlib

# Under their own names: the package `importlib` is in the library.
from _frozen_importlib import ModuleSpec
from _frozen_importlib_external import decode_source
from zipimport import zipimporter

ROOT = f"/usr/local/lib/python{sys.version_info[0]}.{sys.version_info[1]}"

with open("/build/library.marshal", "rb") as file:
    # name -> (is a package, marshalled code or None, deflated source)
    MODULES = marshal.load(file)


class Loader:
    """For all modules of the library. What `importlib.abc.InspectLoader` asks."""

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        exec(self.get_code(module.__spec__.name), module.__dict__)

    def is_package(self, name):
        return find(name)[0]

    def get_filename(self, name):
        return file_of(name, self.is_package(name))

    def get_code(self, name):
        code = find(name)[1]
        if code is None:  # was frozen in, and is imported anew all the same
            return compile(self.get_source(name), self.get_filename(name), "exec", dont_inherit=True)
        return marshal.loads(code)

    def get_source(self, name):
        return decode_source(zlib.decompress(find(name)[2]))

    def get_data(self, path):
        raise FileNotFoundError(2, "No such file or directory", path)

    def __repr__(self):
        return f"<the library in {ROOT}>"


LOADER = Loader()


def find(name):
    try:
        return MODULES[name]
    except KeyError:
        raise ImportError(f"no module {name!r} in the library", name=name) from None


def file_of(name, package):
    return f"{ROOT}/{name.replace('.', '/')}{'/__init__' if package else ''}.py"


def describe(name):
    package = MODULES[name][0]
    spec = ModuleSpec(name, LOADER, origin=file_of(name, package), is_package=package)
    spec.has_location = True
    if package:
        spec.submodule_search_locations.append(f"{ROOT}/{name.replace('.', '/')}")
    return spec


class Finder:
    """For one directory of the library."""

    def __init__(self, path):
        self.prefix = path[len(ROOT) + 1 :].replace("/", ".") + "." if path != ROOT else ""

    def find_spec(self, name, target=None):
        found = self.prefix + name.rpartition(".")[2]
        return describe(found) if found in MODULES else None

    def iter_modules(self, prefix=""):
        start = len(self.prefix)
        for name in sorted(MODULES):
            if name.startswith(self.prefix) and "." not in name[start:]:
                yield prefix + name[start:], MODULES[name][0]


def hook(path):
    if path == ROOT or path.startswith(ROOT + "/"):
        return Finder(path)
    raise ImportError("not in the library")


def adopt():
    """Takes over the modules that were imported from files before."""
    for name, module in list(sys.modules.items()):
        if name in MODULES and type(module.__spec__.loader).__name__ == "SourceFileLoader":
            spec = module.__spec__ = describe(name)
            module.__loader__, module.__file__ = LOADER, spec.origin
            if spec.submodule_search_locations is not None:
                module.__path__ = spec.submodule_search_locations
            for attribute in "__cached__", "__pycache__":
                module.__dict__.pop(attribute, None)


def install():
    sys.path[:] = [ROOT]
    sys.path_importer_cache.clear()
    # Directories are asked about before archives: they are what there is.
    directory = next(hook for hook in sys.path_hooks if hook is not zipimporter)
    sys.path_hooks[:] = [hook, directory, zipimporter]
    adopt()


def forget_frozen():
    """Drops the code of what is imported: nobody needs it again."""
    for name in sys.modules:
        if name in MODULES:
            package, _, source = MODULES[name]
            MODULES[name] = (package, None, source)
