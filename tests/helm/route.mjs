// Reads an HTTPRoute from stdin and fails with what is wrong with it.
import { readFileSync } from 'node:fs';
import { HTTPRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute';

const { apiVersion, kind, ...rest } = JSON.parse(readFileSync(0, 'utf8'));
const route = new HTTPRoute(rest);
if (route.apiVersion !== apiVersion || route.kind !== kind) throw new Error(`not ${apiVersion} ${kind}`);
route.validate();
