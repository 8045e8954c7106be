import ctypes, sys
prefix = {'r': 'PyMem_Raw', 'm': 'PyMem_', 'o': 'PyObject_'}
made, size, spoil, last, by, held = sys.argv[1:]
library = ctypes.pythonapi if held == 'held' else ctypes.CDLL(None)
def function(library, domain, name, result, *arguments):
    function = getattr(library, prefix[domain] + name)
    function.restype, function.argtypes = result, arguments
    return function
malloc = function(ctypes.pythonapi, made, 'Malloc', ctypes.c_void_p, ctypes.c_size_t)
free = function(library, by, 'Free', None, ctypes.c_void_p)
realloc = function(library, by, 'Realloc', ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)
block = malloc(int(size))
if spoil != 'whole':
    ctypes.memset(block + int(spoil), 0x5a, 1)
if last == 'twice':
    free(block)
if last == 'resize':
    realloc(block, 2 * int(size))
else:
    free(block)
sys.stderr.write('nothing was noticed\n')
