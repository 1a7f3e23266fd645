"""What an operator sees and does: the data behind the admin's pages and the commands.

    overview()  -> Overview      totals now; `recent`: the last ten minutes; `troubles`: what hurts
    nodes()     -> NodesStatus   `nodes`: a NodeStatus for each process, of all machines
    shards()    -> ShardsStatus  `shards`: a ShardStatus each; `servers`: a ServerStatus each
    kafka()     -> KafkaStatus   `members`, `partitions`, `dead_letters` of the pool
    rooms(…)    -> FoundRooms    all rooms that fit, in an order; takes seconds where there are many
    room_members(room) -> RoomMembers  the connections in a room: user, address, since, what waits
    room_people(room)  -> RoomPeople   the people in a room, where it has presence
    drain(id, by=name) -> DrainAnswer  has a worker, on whichever machine, do as on SIGTERM
    disconnect_client(id, by=name)     closes one connection, on whichever machine

Each has an asynchronous twin (`aoverview`, `anodes`, `ashards`, `akafka`, `arooms`,
`aroom_members`, `aroom_people`, `adrain`, `adisconnect_client`) and takes `using=`, the alias of a
channel layer.
All but `rooms` return within about `CHECK_TIMEOUT`.
None is unknown, not 0; where `is_known` is False all of it is unknown, and `why` says why.

One room is read by `realtime/rooms/listing.py`.
"""

from realtime.operations.draining import CannotDrain, DrainAnswer, DrainUnknown, adrain, drain
from realtime.operations.kafka_status import KafkaStatus, PartitionStatus, PoolMember
from realtime.operations.looking import (
    akafka,
    anodes,
    aoverview,
    ashards,
    kafka,
    nodes,
    overview,
    shards,
)
from realtime.operations.node_status import NodesStatus, NodeStatus
from realtime.operations.overview_status import Overview, RecentTotals, Trouble
from realtime.operations.room_list import FoundRoom, FoundRooms, arooms, rooms
from realtime.operations.room_members import (
    RoomMember,
    RoomMembers,
    adisconnect_client,
    aroom_members,
    disconnect_client,
    room_members,
)
from realtime.operations.room_people import RoomPeople, RoomPerson, aroom_people, room_people
from realtime.operations.shard_status import ServerStatus, ShardsStatus, ShardStatus

__all__ = [
    "CannotDrain",
    "DrainAnswer",
    "DrainUnknown",
    "FoundRoom",
    "FoundRooms",
    "KafkaStatus",
    "NodeStatus",
    "NodesStatus",
    "Overview",
    "PartitionStatus",
    "PoolMember",
    "RecentTotals",
    "RoomMember",
    "RoomMembers",
    "RoomPeople",
    "RoomPerson",
    "ServerStatus",
    "ShardStatus",
    "ShardsStatus",
    "Trouble",
    "adisconnect_client",
    "adrain",
    "akafka",
    "anodes",
    "aoverview",
    "aroom_members",
    "aroom_people",
    "arooms",
    "ashards",
    "disconnect_client",
    "drain",
    "kafka",
    "nodes",
    "overview",
    "room_members",
    "room_people",
    "rooms",
    "shards",
]
