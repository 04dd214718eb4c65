// A driver as NVIDIA's libcuda answers, whose GPU is this machine's memory. What matters of a real one is kept:
//   - a stream is lazy: its work is done when somebody waits, in the order in which it was asked;
//   - device memory cannot be touched by the host: it is open only while a stream works;
//   - a thread has a stack of contexts, and nothing works where it is empty;
//   - a copy from pageable memory takes what is there now, one from page-locked memory what is there when it is done;
//   - what may not be captured into a graph ends the capture.
// What it says is chosen by the environment: DOUBLE_INIT, DOUBLE_CUDA, DOUBLE_COUNT, DOUBLE_SMS, DOUBLE_BYTES (memory),
// DOUBLE_FAIL ("cuGraphLaunch=700@3,...": the code of the third call and of those after it). DOUBLE_REPORT names a file
// for what is left at exit and how often each function was called.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { OK, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, DEINITIALIZED = 4, INVALID_CONTEXT = 201, NO_BINARY = 209,
       INVALID_HANDLE = 400, NOT_FOUND = 500, CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901,
       CAPTURE_ISOLATION = 905 };
enum { COPY, KERNEL, CALL, RECORD, WAIT };
#define PAGE 4096u

typedef struct Stream Stream;
typedef struct Event { Stream *stream; long asked, done; } Event;
typedef struct Op {
  int kind;
  char *to;
  const char *from;  // of a copy
  size_t bytes;
  void *owned;  // a snapshot of pageable memory
  void (*run)(const int *, const int *, void **);  // of a kernel
  void (*call)(void *);
  int grid[3], block[3];
  void **arguments;
  void *data;
  Event *event;
  long number;
  struct Op *next;
} Op;
typedef struct { Op *first, *last; } Ops;
struct Stream { Ops ops; int capturing, invalid; Ops captured; Stream *next; };
typedef struct Block { char *base, *at; size_t mapped, bytes; int pinned; struct Block *next; } Block;
typedef struct { void *library; } Module;
typedef struct { void (*run)(const int *, const int *, void **); const int *sizes; int count; } Function;

static pthread_mutex_t lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
static __thread int depth;  // contexts on this thread's stack
static __thread Stream *capturing_here;
static Block *blocks;
static Stream *all_streams;
static int retained, contexts, streams, events, modules, graphs;
static size_t used;
static struct { const char *name; int calls; } seen[128];

static int number(const char *name, int otherwise) {
  const char *text = getenv(name);
  return text ? atoi(text) : otherwise;
}

static int entered(const char *name) {  // counts the call; the code with which it has to fail
  int i = 0;
  while (seen[i].name && strcmp(seen[i].name, name)) ++i;
  seen[i].name = name;
  const int calls = ++seen[i].calls;
  const char *at = getenv("DOUBLE_FAIL");
  for (size_t length = strlen(name); at && (at = strstr(at, name)); at += length)
    if (at[length] == '=') {
      int code = 0, from = 1;
      sscanf(at + length + 1, "%d@%d", &code, &from);
      if (calls >= from) return code;
    }
  return OK;
}

static int left(int code) { pthread_mutex_unlock(&lock); return code; }
#define ENTER_ANYWHERE pthread_mutex_lock(&lock); { int failed = entered(__func__); if (failed) return left(failed); }
#define ENTER ENTER_ANYWHERE if (!depth) return left(INVALID_CONTEXT);
#define NOT_WHILE_CAPTURING if (capturing_here) { capturing_here->invalid = 1; return left(CAPTURE_UNSUPPORTED); }

static Block *block_of(const void *at, size_t bytes, int pinned) {
  for (Block *b = blocks; b; b = b->next)
    if (b->pinned == pinned && (const char *)at >= b->at && (const char *)at + bytes <= b->at + b->bytes) return b;
  return NULL;
}

static void open_memory(int open) {
  for (Block *b = blocks; b; b = b->next)
    if (!b->pinned) mprotect(b->base, b->mapped, open ? PROT_READ | PROT_WRITE : PROT_NONE);
}

static void push(Ops *ops, Op op) {
  Op *made = malloc(sizeof op);
  *made = op;
  made->next = NULL;
  if (ops->last) ops->last->next = made; else ops->first = made;
  ops->last = made;
}

static void ask(Stream *stream, Op op) { push(stream->capturing ? &stream->captured : &stream->ops, op); }

static void work(Stream *stream, Event *until, long number) {  // all of it, or until an event is reached
  while (stream->ops.first && !(until && until->done >= number)) {
    Op *op = stream->ops.first;
    if (op->kind == WAIT && op->event->done < op->number) work(op->event->stream, op->event, op->number);
    if (op->kind == COPY) memcpy(op->to, op->from, op->bytes);
    if (op->kind == KERNEL) op->run(op->grid, op->block, op->arguments);
    if (op->kind == CALL) op->call(op->data);
    if (op->kind == RECORD) op->event->done = op->number;
    stream->ops.first = op->next;
    if (!op->next) stream->ops.last = NULL;
    free(op->owned);
    free(op);
  }
}

static void finish(Stream *stream, Event *until, long number) {
  static int working;  // what a network's double runs may throw away objects of others, which come here again
  if (working) return;
  working = 1;
  open_memory(1);
  work(stream, until, number);
  open_memory(0);
  working = 0;
}

static void finish_all(void) {  // as a driver does before memory goes
  for (Stream *s = all_streams; s; s = s->next)
    if (!s->capturing) finish(s, NULL, 0);
}

int cuInit(unsigned flags) { (void)flags; ENTER_ANYWHERE return left(number("DOUBLE_INIT", 0)); }
int cuDriverGetVersion(int *version) { *version = number("DOUBLE_CUDA", 12060); return OK; }
int cuDeviceGetCount(int *count) { *count = number("DOUBLE_COUNT", 1); return OK; }
int cuDeviceGet(int *device, int ordinal) { *device = ordinal; return OK; }
int cuDeviceGetName(char *name, int length, int device) {
  (void)device;
  strncpy(name, "Orin", (size_t)length);
  return OK;
}
static size_t all_memory(void) {
  const char *text = getenv("DOUBLE_BYTES");
  return text ? strtoull(text, NULL, 10) : 8000000000u;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { (void)device; *bytes = all_memory(); return OK; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
  (void)device;
  *value = attribute == 75 ? 8 : attribute == 76 ? 7 : attribute == 16 ? number("DOUBLE_SMS", 16) : attribute == 18 ? 1 : -1;
  return OK;
}
int cuGetErrorString(int code, const char **text) {
  *text = code == 35 ? "insufficient driver" : code == 700 ? "an illegal memory access was encountered" : "an error";
  return OK;
}
int cuGetErrorName(int code, const char **text) { (void)code; *text = "CUDA_ERROR"; return OK; }

int cuGetProcAddress_v2(const char *symbol, void **found, int version, uint64_t flags, int *status) {
  (void)version, (void)flags;
  Dl_info self;
  dladdr((void *)cuInit, &self);
  void *library = dlopen(self.dli_fname, RTLD_LAZY | RTLD_NOLOAD);
  char newer[128];
  snprintf(newer, sizeof newer, "%s_v2", symbol);
  *found = dlsym(library, newer);
  if (!*found) *found = dlsym(library, symbol);
  if (status) *status = *found ? 0 : 1;
  return *found ? OK : NOT_FOUND;
}

int cuDevicePrimaryCtxRetain(void **context, int device) {
  (void)device;
  ENTER_ANYWHERE
  ++retained;
  *context = &retained;
  return left(OK);
}
int cuDevicePrimaryCtxRelease_v2(int device) { (void)device; ENTER_ANYWHERE --retained; return left(OK); }
int cuCtxPushCurrent_v2(void *context) {
  ENTER_ANYWHERE
  if (context != &retained || retained < 1) return left(INVALID_CONTEXT);
  ++depth, ++contexts;
  return left(OK);
}
int cuCtxPopCurrent_v2(void **context) {
  ENTER
  if (context) *context = &retained;
  --depth, --contexts;
  return left(OK);
}
int cuCtxGetCurrent(void **context) { *context = depth ? &retained : NULL; return OK; }
int cuCtxGetDevice(int *device) { ENTER *device = 0; return left(OK); }
int cuCtxGetApiVersion(void *context, unsigned *version) { (void)context; *version = 3020; return OK; }

int cuMemGetInfo_v2(size_t *free_bytes, size_t *total) {
  ENTER
  *total = all_memory();
  *free_bytes = *total - used;
  return left(OK);
}
static int allocate(char **at, size_t bytes, int pinned) {  // its end is the end of a page: who goes beyond it falls
  if (!bytes) return INVALID_VALUE;
  if (!pinned && used + bytes > all_memory()) return OUT_OF_MEMORY;
  const size_t mapped = (bytes + PAGE - 1) / PAGE * PAGE, from = (mapped - bytes) / 256 * 256;
  char *base = mmap(NULL, mapped + PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (base == MAP_FAILED) return OUT_OF_MEMORY;
  mprotect(base, mapped, PROT_READ | PROT_WRITE);
  memset(base, 0xAB, mapped);
  if (!pinned) mprotect(base, mapped, PROT_NONE), used += bytes;
  Block *made = malloc(sizeof *made);
  *made = (Block){base, base + from, mapped, bytes, pinned, blocks};
  blocks = made;
  *at = made->at;
  return OK;
}
static int give_back(void *at, int pinned) {
  finish_all();
  for (Block **b = &blocks; *b; b = &(*b)->next)
    if ((*b)->at == at && (*b)->pinned == pinned) {
      Block *gone = *b;
      *b = gone->next;
      if (!pinned) used -= gone->bytes;
      munmap(gone->base, gone->mapped + PAGE);
      free(gone);
      return OK;
    }
  return INVALID_VALUE;
}
int cuMemAlloc_v2(char **at, size_t bytes) { ENTER NOT_WHILE_CAPTURING return left(allocate(at, bytes, 0)); }
int cuMemFree_v2(void *at) { ENTER NOT_WHILE_CAPTURING return left(give_back(at, 0)); }
int cuMemHostAlloc(char **at, size_t bytes, unsigned flags) {
  (void)flags;
  ENTER NOT_WHILE_CAPTURING
  return left(allocate(at, bytes, 1));
}
int cuMemFreeHost(void *at) { ENTER NOT_WHILE_CAPTURING return left(give_back(at, 1)); }

int cuMemcpyHtoDAsync_v2(char *to, const char *from, size_t bytes, Stream *stream) {
  ENTER
  if (!block_of(to, bytes, 0)) return left(INVALID_VALUE);
  Op op = {.kind = COPY, .to = to, .from = from, .bytes = bytes};
  if (!block_of(from, bytes, 1)) {
    NOT_WHILE_CAPTURING
    op.from = op.owned = memcpy(malloc(bytes), from, bytes);
  }
  ask(stream, op);
  return left(OK);
}
int cuMemcpyDtoHAsync_v2(char *to, const char *from, size_t bytes, Stream *stream) {
  ENTER
  if (!block_of(from, bytes, 0)) return left(INVALID_VALUE);
  const int pageable = !block_of(to, bytes, 1);
  if (pageable) { NOT_WHILE_CAPTURING }
  ask(stream, (Op){.kind = COPY, .to = to, .from = from, .bytes = bytes});
  if (pageable) finish(stream, NULL, 0);
  return left(OK);
}

int cuStreamCreate(Stream **stream, unsigned flags) {
  (void)flags;
  ENTER
  *stream = calloc(1, sizeof **stream);
  (*stream)->next = all_streams;
  all_streams = *stream;
  ++streams;
  return left(OK);
}
int cuStreamDestroy_v2(Stream *stream) { ENTER finish(stream, NULL, 0); --streams; return left(OK); }  // events name it
int cuStreamSynchronize(Stream *stream) { ENTER NOT_WHILE_CAPTURING finish(stream, NULL, 0); return left(OK); }
int cuEventCreate(Event **event, unsigned flags) {
  ENTER
  if (flags & 1) entered("events that sleep");
  *event = calloc(1, sizeof **event);
  ++events;
  return left(OK);
}
int cuEventDestroy_v2(Event *event) { ENTER (void)event; --events; return left(OK); }  // waits may still name it
int cuEventRecord(Event *event, Stream *stream) {
  ENTER
  event->stream = stream;
  ask(stream, (Op){.kind = RECORD, .event = event, .number = ++event->asked});
  return left(OK);
}
int cuEventSynchronize(Event *event) {
  ENTER NOT_WHILE_CAPTURING
  if (event->stream) finish(event->stream, event, event->asked);
  return left(OK);
}
int cuStreamWaitEvent(Stream *stream, Event *event, unsigned flags) {
  (void)flags;
  ENTER
  if (stream->capturing && event->stream != stream) {
    stream->invalid = 1;
    return left(CAPTURE_ISOLATION);
  }
  if (event->stream) ask(stream, (Op){.kind = WAIT, .event = event, .number = event->asked});
  return left(OK);
}
int cuLaunchHostFunc(Stream *stream, void (*call)(void *), void *data) {  // how TensorRT's double runs a network
  ENTER
  ask(stream, (Op){.kind = CALL, .call = call, .data = data});
  return left(OK);
}

int cuModuleLoadData(Module **module, const char *image) {  // an ELF library of this machine stands for a cubin
  ENTER NOT_WHILE_CAPTURING
  const Elf64_Ehdr *head = (const Elf64_Ehdr *)image;
  if (memcmp(image, ELFMAG, SELFMAG) || head->e_type != ET_DYN || head->e_machine == 190) return left(NO_BINARY);
  const size_t bytes = head->e_shoff + (size_t)head->e_shnum * head->e_shentsize;
  char path[64];
  const int file = memfd_create("cubin", 0);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  void *library = write(file, image, bytes) == (ssize_t)bytes ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  close(file);
  if (!library) return left(NO_BINARY);
  *module = malloc(sizeof **module);
  (*module)->library = library;
  ++modules;
  return left(OK);
}
int cuModuleLoadDataEx(Module **module, const char *image, unsigned count, void *options, void **values) {  // PyCUDA's
  (void)count, (void)options, (void)values;
  return cuModuleLoadData(module, image);
}
int cuModuleUnload(Module *module) { ENTER (void)module; --modules; return left(OK); }  // not closed: graphs run it
int cuModuleGetFunction(Function **function, Module *module, const char *name) {
  ENTER
  if (!dlsym(module->library, name)) return left(NOT_FOUND);
  *function = malloc(sizeof **function);
  **function = (Function){dlsym(module->library, "launch"), *(const int **)dlsym(module->library, "argument_sizes"),
                          *(const int *)dlsym(module->library, "argument_count")};
  return left(OK);
}
int cuFuncSetBlockShape(Function *function, int x, int y, int z) {  // PyCUDA's, which says it again when it launches
  (void)function;
  ENTER
  return left(x * y * z > 1024 ? INVALID_VALUE : OK);
}
int cuLaunchKernel(Function *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, Stream *stream, void **arguments, void **more) {
  (void)shared;
  ENTER
  if (!gx || !gy || !gz || bx * by * bz > 1024 || !arguments == !more) return left(INVALID_VALUE);
  const char *buffer = NULL;  // PyCUDA packs the values as C does, and gives a list of {1, buffer, 2, size, 0}
  size_t bytes = 0, at = 0;
  for (void **each = more; each && *each; each += 2) {
    if (*each == (void *)1) buffer = each[1];
    if (*each == (void *)2) bytes = *(size_t *)each[1];
  }
  Op op = {.kind = KERNEL, .run = function->run, .grid = {(int)gx, (int)gy, (int)gz},
           .block = {(int)bx, (int)by, (int)bz}};
  op.arguments = malloc((size_t)function->count * sizeof(void *));  // as the driver, the values of now
  for (int i = 0; i < function->count; ++i) {
    const size_t size = (size_t)function->sizes[i];
    at = (at + size - 1) / size * size;
    if (more && (!buffer || at + size > bytes)) return left(INVALID_VALUE);
    op.arguments[i] = memcpy(malloc(size), more ? buffer + at : arguments[i], size);
    at += size;
  }
  if (more && at != bytes) return left(INVALID_VALUE);
  ask(stream, op);
  return left(OK);
}

int cuStreamBeginCapture_v2(Stream *stream, int mode) {
  (void)mode;
  ENTER
  stream->capturing = 1, stream->invalid = 0;
  stream->captured = (Ops){NULL, NULL};
  capturing_here = stream;
  return left(OK);
}
int cuStreamEndCapture(Stream *stream, Ops **graph) {
  ENTER
  *graph = NULL;
  if (!stream->capturing) return left(INVALID_VALUE);
  stream->capturing = 0;
  capturing_here = NULL;
  if (stream->invalid) return left(CAPTURE_INVALIDATED);
  *graph = malloc(sizeof **graph);
  **graph = stream->captured;
  ++graphs;
  return left(OK);
}
int cuStreamIsCapturing(Stream *stream, int *status) {
  ENTER
  *status = stream->capturing ? stream->invalid ? 2 : 1 : 0;
  return left(OK);
}
int cuGraphInstantiateWithFlags(Ops **made, Ops *graph, uint64_t flags) {
  (void)flags;
  ENTER
  *made = malloc(sizeof **made);
  **made = *graph;
  ++graphs;
  return left(OK);
}
int cuGraphLaunch(Ops *graph, Stream *stream) {
  ENTER
  for (Op *op = graph->first; op; op = op->next) ask(stream, *op);
  return left(OK);
}
int cuGraphDestroy(Ops *graph) { ENTER free(graph); --graphs; return left(OK); }
int cuGraphExecDestroy(Ops *graph) { ENTER free(graph); --graphs; return left(OK); }

__attribute__((destructor)) static void report(void) {
  const char *path = getenv("DOUBLE_REPORT");
  FILE *file = path ? fopen(path, "w") : NULL;
  if (!file) return;
  int memory = 0, pinned = 0;
  for (Block *b = blocks; b; b = b->next) b->pinned ? ++pinned : ++memory;
  fprintf(file, "{\"left\": {\"memory\": %d, \"pinned\": %d, \"streams\": %d, \"events\": %d, \"modules\": %d, "
          "\"graphs\": %d, \"contexts on stacks\": %d, \"contexts\": %d}, \"calls\": {",
          memory, pinned, streams, events, modules, graphs, contexts, retained);
  for (int i = 0; seen[i].name; ++i) fprintf(file, "%s\"%s\": %d", i ? ", " : "", seen[i].name, seen[i].calls);
  fputs("}}\n", file);
  fclose(file);
}
