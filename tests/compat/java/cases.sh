# The cases of run.sh: what an operator types, and what must come out. Each has $bootstrap, a fresh $topic and a scratch
# folder as its current one. `set -e` does not reach into a function that stands in a condition, hence the `&&`.
tools=org.apache.kafka.tools
groups=$tools.consumer.group.ConsumerGroupCommand
reassign=$tools.reassign.ReassignPartitionsCommand

create() { # create TOPIC PARTITIONS [MORE...]
    local name=$1 partitions=$2
    shift 2
    expect "Created topic" tool $tools.TopicCommand --bootstrap-server "$bootstrap" --create --topic "$name" \
        --partitions "$partitions" --replication-factor 3 "$@"
}
fill() { # fill TOPIC RECORDS [MORE...] : the idempotent Java producer with acks=all, its defaults
    local name=$1 records=$2
    shift 2
    expect "^$records records sent" tool $tools.ProducerPerformance --bootstrap-server "$bootstrap" --topic "$name" \
        --num-records "$records" --record-size 200 --throughput -1 "$@"
}

case_topic_command() {
    create "$topic" 3 --config retention.ms=100000 &&
        tool $tools.TopicCommand --bootstrap-server "$bootstrap" --topic "$topic" --alter --partitions 5 &&
        expect 'PartitionCount: 5.ReplicationFactor: 3.Configs: .*retention.ms=100000' \
            tool $tools.TopicCommand --bootstrap-server "$bootstrap" --topic "$topic" --describe &&
        expect "^$topic$" tool $tools.TopicCommand --bootstrap-server "$bootstrap" --list &&
        tool $tools.TopicCommand --bootstrap-server "$bootstrap" --topic "$topic" --delete &&
        refused 'does not exist' tool $tools.TopicCommand --bootstrap-server "$bootstrap" --topic "$topic" --describe
}

case_topic_command_refuses() {
    create "$topic" 1 &&
        refused 'already exists' tool $tools.TopicCommand --bootstrap-server "$bootstrap" --create --topic "$topic" &&
        refused 'InvalidTopicException' tool $tools.TopicCommand --bootstrap-server "$bootstrap" --create --topic 'no spaces' &&
        refused 'InvalidReplicationFactorException' tool $tools.TopicCommand --bootstrap-server "$bootstrap" --create \
            --topic "$topic-b" --replication-factor 9 &&
        refused 'Invalid value soon' tool $tools.TopicCommand --bootstrap-server "$bootstrap" --create \
            --topic "$topic-b" --config retention.ms=soon
}

case_under_replicated_is_empty() {
    create "$topic" 6 && [ -z "$(tool $tools.TopicCommand --bootstrap-server "$bootstrap" --describe --topic "$topic" \
        --under-replicated-partitions)" ]
}

case_producer_performance() { create "$topic" 3 && fill "$topic" 50000 && [ "$(total_of "$topic")" = 50000 ]; }

case_producer_performance_of_every_codec() {
    create "$topic" 1 || return
    for codec in none gzip snappy lz4 zstd; do
        fill "$topic" 2000 --command-property compression.type=$codec || return
    done
    [ "$(total_of "$topic")" = 10000 ]
}

case_producer_performance_of_every_acks() {
    create "$topic" 1 || return
    for acks in 0 1 all; do
        fill "$topic" 2000 --command-property acks=$acks --command-property enable.idempotence=false || return
    done
    [ "$(total_of "$topic")" = 6000 ]
}

case_consumer_performance() {
    create "$topic" 3 && fill "$topic" 50000 && expect ', 50000, ' tool $tools.ConsumerPerformance \
        --bootstrap-server "$bootstrap" --topic "$topic" --num-records 50000 --group "$topic"
}

case_console_round_trip() {
    create "$topic" 1 && seq 1000 >lines &&
        tool $tools.ConsoleProducer --bootstrap-server "$bootstrap" --topic "$topic" --compression-codec zstd <lines &&
        tool $tools.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic "$topic" --partition 0 \
            --offset earliest --max-messages 1000 --timeout-ms 30000 >read && cmp lines read
}

case_get_offset_shell() {
    create "$topic" 1 && fill "$topic" 100 &&
        for time in 'earliest 0' 'latest 100' '-2 0' '-1 100' '0 0' 'earliest-local 0'; do
            read -r spec offset <<<"$time"
            expect "^$topic:0:$offset$" tool $tools.GetOffsetShell --bootstrap-server "$bootstrap" --topic "$topic" \
                --time "$spec" || return
        done &&
        expect "^$topic:0:[0-9]+$" tool $tools.GetOffsetShell --bootstrap-server "$bootstrap" --topic "$topic" \
            --time max-timestamp
}

case_config_command_of_topics() {
    local entity=(--bootstrap-server "$bootstrap" --entity-type topics --entity-name "$topic")
    create "$topic" 1 &&
        tool kafka.admin.ConfigCommand "${entity[@]}" --alter --add-config segment.bytes=2000000,cleanup.policy=compact &&
        expect 'segment.bytes=2000000 .*DYNAMIC_TOPIC_CONFIG' tool kafka.admin.ConfigCommand "${entity[@]}" --describe &&
        tool kafka.admin.ConfigCommand "${entity[@]}" --alter --delete-config segment.bytes &&
        expect 'segment.bytes=1073741824 ' tool kafka.admin.ConfigCommand "${entity[@]}" --describe --all &&
        refused 'no.such.key' tool kafka.admin.ConfigCommand "${entity[@]}" --alter --add-config no.such.key=1
}

case_config_command_of_brokers() {
    local one=(--bootstrap-server "$bootstrap" --entity-type brokers --entity-name 1)
    local every=(--bootstrap-server "$bootstrap" --entity-type brokers --entity-default)
    expect 'default.replication.factor=3 .*STATIC_BROKER_CONFIG' tool kafka.admin.ConfigCommand "${one[@]}" --describe --all &&
        tool kafka.admin.ConfigCommand "${every[@]}" --alter --add-config log.retention.ms=777000000 &&
        expect 'log.retention.ms=777000000' tool kafka.admin.ConfigCommand "${every[@]}" --describe &&
        tool kafka.admin.ConfigCommand "${every[@]}" --alter --delete-config log.retention.ms &&
        tool kafka.admin.ConfigCommand "${one[@]}" --alter --add-config log.cleaner.threads=2 &&
        expect 'log.cleaner.threads=2 .*DYNAMIC_BROKER_CONFIG' tool kafka.admin.ConfigCommand "${one[@]}" --describe &&
        tool kafka.admin.ConfigCommand "${one[@]}" --alter --delete-config log.cleaner.threads
}

case_leader_election_command() {
    create "$topic" 2 && expect 'Valid replica already elected|Successfully completed' tool $tools.LeaderElectionCommand \
        --bootstrap-server "$bootstrap" --election-type preferred --topic "$topic" --partition 0
}

case_reassign_partitions_command() {
    local json='{"version":1,"partitions":[{"topic":"%s","partition":0,"replicas":[%s]}]}'
    expect 'Created topic' tool $tools.TopicCommand --bootstrap-server "$bootstrap" --create --topic "$topic" \
        --replica-assignment 1:2 && fill "$topic" 5000 &&
        printf "$json" "$topic" 3,2 >move.json &&
        expect 'Successfully started' tool $reassign --bootstrap-server "$bootstrap" --reassignment-json-file move.json --execute &&
        await 'is completed' tool $reassign --bootstrap-server "$bootstrap" --reassignment-json-file move.json --verify &&
        expect 'Replicas: 3,2' tool $tools.TopicCommand --bootstrap-server "$bootstrap" --topic "$topic" --describe &&
        expect 'No partition reassignments found' tool $reassign --bootstrap-server "$bootstrap" --list &&
        printf '{"version":1,"topics":[{"topic":"%s"}]}' "$topic" >topics.json &&
        expect 'Proposed partition reassignment' tool $reassign --bootstrap-server "$bootstrap" \
            --topics-to-move-json-file topics.json --broker-list 1,2,3 --generate &&
        [ "$(total_of "$topic")" = 5000 ]
}

await() { # await TEXT COMMAND... : `expect`, five times at most
    for _ in 1 2 3 4 5; do expect "$@" && return; done
    return 1
}

case_delete_records_command() {
    create "$topic" 1 && fill "$topic" 100 &&
        printf '{"version":1,"partitions":[{"topic":"%s","partition":0,"offset":60}]}' "$topic" >records.json &&
        expect 'low_watermark: 60' tool $tools.DeleteRecordsCommand --bootstrap-server "$bootstrap" \
            --offset-json-file records.json &&
        expect "^$topic:0:60$" tool $tools.GetOffsetShell --bootstrap-server "$bootstrap" --topic "$topic" --time earliest
}

case_log_dirs_command() {
    create "$topic" 1 && fill "$topic" 1000 && expect "\"$topic-0\",\"size\":[0-9]{6}" tool $tools.LogDirsCommand \
        --bootstrap-server "$bootstrap" --describe --topic-list "$topic"
}

case_feature_command() { expect 'transaction.version' tool $tools.FeatureCommand --bootstrap-server "$bootstrap" describe; }

case_broker_api_versions_command() {
    expect 'Produce\(0\): 0 to 13 .usable: 13' tool $tools.BrokerApiVersionsCommand --bootstrap-server "$bootstrap" &&
        expect 'CreateTopics\(19\): 2 to 7' tool $tools.BrokerApiVersionsCommand --bootstrap-server "$bootstrap"
}

case_cluster_tool() {
    expect 'Cluster ID: [A-Za-z0-9_-]{22}' tool $tools.ClusterTool cluster-id --bootstrap-server "$bootstrap" &&
        expect 'unfenced' tool $tools.ClusterTool list-endpoints --bootstrap-server "$bootstrap"
}

case_metadata_quorum_command() {
    expect 'LeaderId: +[123]' tool $tools.MetadataQuorumCommand --bootstrap-server "$bootstrap" describe --status &&
        expect 'Leader' tool $tools.MetadataQuorumCommand --bootstrap-server "$bootstrap" describe --replication
}

case_replica_verification() { # every replica has the same checksums up to the high watermark
    create "$topic" 2 && fill "$topic" 5000 || return
    timeout 8 java -XX:TieredStopAtLevel=1 -Xmx512m -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$library/*" \
        $tools.ReplicaVerificationTool --broker-list "$bootstrap" --topics-include "$topic" --report-interval-ms 1000 >seen 2>&1
    cat seen
    grep -q 'max lag is 0 for partition' seen
}

# Groups

case_consumer_group_command() {
    local all=(--bootstrap-server "$bootstrap" --group "$topic")
    create "$topic" 3 && fill "$topic" 3000 && tool $tools.ConsumerPerformance --bootstrap-server "$bootstrap" \
        --topic "$topic" --num-records 3000 --group "$topic" &&
        expect "^$topic$" tool $groups --bootstrap-server "$bootstrap" --list &&
        expect "^$topic +$topic +0 +([0-9]+) +\1 +0 " tool $groups "${all[@]}" --describe &&
        expect 'Empty +0' tool $groups "${all[@]}" --describe --state &&
        tool $groups "${all[@]}" --describe --members &&
        expect "$topic +$topic +0 +0" tool $groups "${all[@]}" --reset-offsets --to-earliest --topic "$topic" --execute &&
        expect 'Successful' tool $groups "${all[@]}" --delete-offsets --topic "$topic:0" &&
        expect 'was successful' tool $groups "${all[@]}" --delete
}

case_groups_command() {
    create "$topic" 1 && fill "$topic" 10 && tool $tools.ConsumerPerformance --bootstrap-server "$bootstrap" \
        --topic "$topic" --num-records 10 --group "$topic" &&
        expect "^$topic +Classic +consumer" tool $tools.GroupsCommand --bootstrap-server "$bootstrap" --list
}

case_verifiable_producer() {
    create "$topic" 3 && expect '"sent":500,.*"acked":500|"acked":500,.*"sent":500' tool $tools.VerifiableProducer \
        --bootstrap-server "$bootstrap" --topic "$topic" --max-messages 500 --acks -1
}

verifiable_consumer() { # verifiable_consumer PROTOCOL
    create "$topic" 3 && fill "$topic" 500 &&
        expect '"offsets_committed".*"success":true' tool $tools.VerifiableConsumer --bootstrap-server "$bootstrap" \
            --topic "$topic" --max-messages 500 --group-id "$topic" --group-protocol "$1" --reset-policy earliest
}
case_verifiable_consumer() { verifiable_consumer classic; }
case_verifiable_consumer_of_the_new_protocol() { verifiable_consumer consumer; }

# kafka-clients 4.4.0 in groups of both protocols: Groups.java

group_scenario() { # group_scenario NAME
    create "$topic" 6 && expect '^ok$' newest_tool "$here/Groups.java" "$bootstrap" "$topic" "$1"
}
case_members_of_the_new_protocol_roll() { group_scenario rolling; }
case_subscription_pattern() { group_scenario pattern; }
case_static_members_of_the_new_protocol() { group_scenario statics; }
case_groups_change_their_protocol() { group_scenario migration; }

# Transactions

case_transactional_producer_performance() {
    create "$topic" 1 && fill "$topic" 5000 --transactional-id "$topic" --transaction-duration-ms 50 &&
        expect "CompleteCommit" tool $tools.TransactionsCommand --bootstrap-server "$bootstrap" describe \
            --transactional-id "$topic" &&
        expect "^$topic[[:space:]]" tool $tools.TransactionsCommand --bootstrap-server "$bootstrap" list &&
        expect "None" tool $tools.TransactionsCommand --bootstrap-server "$bootstrap" describe-producers --topic "$topic" --partition 0
}

case_transactional_message_copier() {
    create "$topic" 1 && create "$topic-copy" 1 && fill "$topic" 1000 &&
        expect '"stage":"ShutdownComplete".*"remaining":0' tool $tools.TransactionalMessageCopier --broker-list "$bootstrap" \
            --consumer-group "$topic" --input-topic "$topic" --input-partition 0 --output-topic "$topic-copy" \
            --max-messages 1000 --transactional-id "$topic" --transaction-size 100 &&
        tool $tools.consumer.ConsoleConsumer --bootstrap-server "$bootstrap" --topic "$topic-copy" --partition 0 \
            --offset earliest --max-messages 1000 --timeout-ms 20000 --isolation-level read_committed >read &&
        [ "$(wc -l <read)" = 1000 ]
}

case_find_hanging_transactions() { # asks one broker for the producers of all its replicas
    create "$topic" 3 && fill "$topic" 100 &&
        expect '^Topic' tool $tools.TransactionsCommand --bootstrap-server "$bootstrap" find-hanging --broker-id 1 | tee hanging &&
        ! grep -q NotLeaderOrFollower hanging
}

# kafka-clients 4.4.0: ApiVersions v5

case_newest_clients() {
    expect 'Created topic' newest_tool $tools.TopicCommand --bootstrap-server "$bootstrap" --create --topic "$topic" --partitions 3 &&
        expect '^20000 records sent' newest_tool $tools.ProducerPerformance --bootstrap-server "$bootstrap" --topic "$topic" \
            --num-records 20000 --record-size 200 --throughput -1 &&
        expect ', 20000, ' newest_tool $tools.ConsumerPerformance --bootstrap-server "$bootstrap" --topic "$topic" \
            --num-records 20000 --group "$topic" &&
        newest_tool $tools.TopicCommand --bootstrap-server "$bootstrap" --topic "$topic" --describe &&
        newest_tool $groups --bootstrap-server "$bootstrap" --describe --group "$topic"
}
