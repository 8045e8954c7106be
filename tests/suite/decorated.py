import ctypes, sys
domain, extra = sys.argv[1], int(sys.argv[2])
prefix = {'r': 'PyMem_Raw', 'm': 'PyMem_', 'o': 'PyObject_'}[domain]
def function(name, result, *arguments):
    function = getattr(ctypes.pythonapi, prefix + name)
    function.restype, function.argtypes = result, arguments
    return function
pointer, number = ctypes.c_void_p, ctypes.c_size_t
malloc = function('Malloc', pointer, number)
realloc = function('Realloc', pointer, pointer, number)
free = function('Free', None, pointer)
def tell(name, start, size):
    print(name + ' ' + ctypes.string_at(start, size).hex())
def made(name, block, size):
    tell(name, block - 16, 24 + size)
    if extra > 24:
        serials.append(int.from_bytes(ctypes.string_at(block + size + 8, 8), 'big'))
    return block
serials = []
made('malloc', malloc(430), 430)
made('nothing', malloc(0), 0)
if hasattr(ctypes.pythonapi, prefix + 'Calloc'):
    made('calloc', function('Calloc', pointer, number, number)(43, 10), 430)
def resized(name, old, new):
    block = malloc(old)
    ctypes.memset(block, 0x11, old)
    return block, made(name, realloc(block, new), new)
resized('grown', 430, 435)
resized('shrunk', 430, 419)
resized('halved', 430, 215)
old, new = resized('moved', 430, 860)
# The first word is a link of the allocator's now. Raw blocks are the C library's to write to.
if domain != 'r':
    tell('left', old - 8, 438)
    block = malloc(430)
    free(block)
    tell('freed', block - 8, 438 + extra - 16)
print('counted %s' % (serials == sorted(set(serials))))
