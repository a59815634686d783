// Sends recorded searches at a given rate with k6: started by bench/load_k6.py. Each search is a stream of its own.
import { Client, Stream } from 'k6/net/grpc';
import { SharedArray } from 'k6/data';

const recorded = JSON.parse(open(__ENV.MESSAGES));
const queries = new SharedArray('queries', () => recorded.queries);
const client = new Client();
client.load([__ENV.PROTO], 'unseen/v1/search.proto');
let connected = false;

export const options = {
  scenarios: {
    load: {
      executor: 'constant-arrival-rate',
      rate: Math.round(Number(__ENV.RATE) * 60),
      timeUnit: '60s',
      duration: `${__ENV.SECONDS}s`,
      preAllocatedVUs: Number(__ENV.VUS),
      maxVUs: Number(__ENV.VUS),
    },
  },
};

export default function () {
  if (!connected) {
    client.connect(__ENV.ADDRESS, { plaintext: true, maxReceiveSize: 4 << 20, maxSendSize: 4 << 20 });
    connected = true;
  }
  const query = queries[Math.floor(Math.random() * queries.length)];
  const stream = new Stream(client, 'unseen.v1.SearchService/Search', {
    metadata: Object.fromEntries(recorded.metadata),
  });
  let received = 0;
  let over = false;
  stream.on('data', (reply) => {
    if (reply.blocks) received += reply.blocks.length;
  });
  stream.on('error', (error) => {
    over = true;
    console.log(JSON.stringify({ status: error.code }));
  });
  stream.on('end', () => {
    if (!over) console.log(JSON.stringify({ base64: received }));
  });
  for (const part of query) stream.write(part);
  stream.end();
}
