"""The options of RocksDB: the memory that a worker's stores share, and the form of their files."""

from collections.abc import Callable
from typing import Final, NamedTuple

from rocksdict import BlockBasedOptions, Cache, DBCompressionType, Options, WriteBufferManager, WriteOptions

_BLOOM_BITS: Final = 10  # one false answer in a hundred; RocksDB wiki, "RocksDB Bloom Filter"
_BLOCK_BYTES: Final = 16 * 1024
_OPEN_FILES: Final = 256


class FileOptions(NamedTuple):
    """The form of a store's files."""

    compression: Callable[[], DBCompressionType] = DBCompressionType.lz4
    manifest_bytes: int = 1024 * 1024
    """The size at which RocksDB writes its list of files anew, which names the first and last keys of files that are
    long gone; its default is 1 GiB.
    """


FILES: Final = FileOptions()


class Memory(NamedTuple):
    """The memory that a worker's stores share: RocksDB's cache of blocks, and the budget of its write buffers."""

    block_cache: Cache
    write_buffers: WriteBufferManager
    write_buffer_bytes: int


def shared_memory(block_cache_bytes: int, write_buffer_bytes: int, partitions: int) -> Memory:
    """Memory for the stores of a worker; `write_buffer_bytes` are of one partition."""
    cache = Cache(block_cache_bytes)
    budget = WriteBufferManager(write_buffer_bytes * max(1, partitions), False)
    return Memory(cache, budget, write_buffer_bytes)


def write_options() -> WriteOptions:
    """Return how batches are written: without a log of RocksDB's own, and refused where they would have to wait.

    RocksDB would wait in the call, on a full disk for as long as it is full.
    """
    options = WriteOptions()
    options.disable_wal = True  # type: ignore[method-assign,assignment]  # a property, whatever the stubs say
    options.no_slowdown = True
    return options


def store_options(memory: Memory, files: FileOptions) -> Options:
    """Return the options of one store."""
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    # RocksDB's default, on which we lean: a store whose compaction met damage refuses writes.
    options.set_paranoid_checks(True)
    options.set_write_buffer_size(memory.write_buffer_bytes)
    options.set_write_buffer_manager(memory.write_buffers)
    options.set_compression_type(files.compression())
    options.set_max_open_files(_OPEN_FILES)
    options.set_keep_log_file_num(2)
    options.set_max_manifest_file_size(files.manifest_bytes)
    blocks = BlockBasedOptions()
    blocks.set_block_cache(memory.block_cache)
    blocks.set_block_size(_BLOCK_BYTES)
    blocks.set_cache_index_and_filter_blocks(True)
    blocks.set_pin_l0_filter_and_index_blocks_in_cache(True)
    blocks.set_bloom_filter(_BLOOM_BITS, False)
    options.set_block_based_table_factory(blocks)
    return options
