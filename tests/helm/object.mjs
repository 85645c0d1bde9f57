// Reads an object of a kind whose schema is at hand for Node alone from stdin, and fails with what is wrong with it.
import { readFileSync } from 'node:fs';
import { Gateway } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/Gateway';
import { HTTPRoute } from '@kubernetes-models/gateway-api/gateway.networking.k8s.io/v1/HTTPRoute';
import { GCPBackendPolicy } from '@kubernetes-models/gke/networking.gke.io/v1/GCPBackendPolicy';
import { HealthCheckPolicy } from '@kubernetes-models/gke/networking.gke.io/v1/HealthCheckPolicy';

const { apiVersion, kind, ...rest } = JSON.parse(readFileSync(0, 'utf8'));
const models = [Gateway, HTTPRoute, GCPBackendPolicy, HealthCheckPolicy].map((model) => new model(rest));
const object = models.find((model) => model.apiVersion === apiVersion && model.kind === kind);
if (!object) throw new Error(`no schema of ${apiVersion} ${kind}`);
object.validate();
